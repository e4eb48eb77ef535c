"""Who will load the adapters, and what that reader will do with every tensor."""

from adaptlint.runtimes.choosing import predict
from adaptlint.runtimes.prediction import Prediction, Request

__all__ = ["Prediction", "Request", "predict"]
