"""
A local page that shows the account's CloudWatch dashboards as CloudWatch would, buttons included, and beside
them the backup server of the sandbox. docs/limits.md says what it does not reproduce.
"""

from sandbox.console_page.server import ConsolePage, PageOptions

__all__ = ["ConsolePage", "PageOptions"]
