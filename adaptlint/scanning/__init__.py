"""Many adapters: where they lie, which base each belongs to, and one report for each."""

from adaptlint.scanning.basing import BaseChoice, choose_base
from adaptlint.scanning.finding import adapter_folders, is_adapter_folder
from adaptlint.scanning.scan import Job, Scanned, jobs_of, scan, status_of

__all__ = [
    "BaseChoice",
    "Job",
    "Scanned",
    "adapter_folders",
    "choose_base",
    "is_adapter_folder",
    "jobs_of",
    "scan",
    "status_of",
]
