"""What a project has decided for all its checks: the configuration file, ignores with a reason, the baseline."""

from adaptlint.settings.loading import Settings, SettingsError, load_settings

__all__ = ["Settings", "SettingsError", "load_settings"]
