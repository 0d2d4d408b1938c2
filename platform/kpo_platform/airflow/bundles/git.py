"""A DAG bundle for a team's git repository that recovers from an unusable clone."""

from __future__ import annotations

import shutil
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.git.bundles.git import GitDagBundle
from airflow.providers.git.hooks.git import GitHook
from git import Repo
from git.exc import GitCommandError

from kpo_platform.airflow.log_masks import note_secrets_of_start
from kpo_platform.errors import PlatformError


class BundleError(PlatformError, RuntimeError):
    """A team's DAG bundle cannot be read; Airflow retries automatically."""


class TeamGitDagBundle(GitDagBundle):
    """GitDagBundle that clones again when a checkout fails, and reads its credentials before every fetch.

    The stock bundle clones once and reuses that clone. If the repository was empty at that time, as for a new team, or
    if the ref is moved later (apache/airflow#71388), the bundle fails until its storage is emptied.

    The stock bundle reads the credentials of a private repository once, when the process starts, and writes them into
    the clone. This bundle uses new or changed credentials without a restart.
    """

    def __init__(self, *, repo_url: str, **stock: Any) -> None:
        """Create the bundle of the repository at this URL; all other arguments are those of GitDagBundle."""
        super().__init__(repo_url=repo_url, **stock)
        self._original_url = repo_url

    def initialize(self) -> None:
        """Clone and check out the repository; on failure, remove the clone so that the next attempt starts clean.

        Raises:
            BundleError: the connection of a private repository does not exist (yet), or the repository does not have
                the ref (yet). Airflow retries automatically.
        """
        self._load_credentials()
        note_secrets_of_start()
        try:
            super().initialize()
        except GitCommandError as error:
            shutil.rmtree(self.repo_path, ignore_errors=True)
            raise BundleError(
                f"Bundle {self.name} cannot check out {self.tracking_ref!r} of its repository. Push that branch or "
                "tag, or correct the team's dags.ref; Airflow retries automatically. "
                f"git: {str(error.stderr).strip()}"
            ) from None

    def refresh(self) -> None:
        """Fetch new commits with the current credentials.

        Raises:
            BundleError: the connection of a private repository no longer exists.
        """
        self._load_credentials()
        super().refresh()

    def _load_credentials(self) -> None:
        if not self.git_conn_id:
            return
        try:
            self.hook = GitHook(self.git_conn_id, repo_url=self._original_url)
        except AirflowException as error:
            raise BundleError(
                f"Bundle {self.name} cannot read its private repository: Airflow has no connection "
                f"{self.git_conn_id}. See the log of the chart's Job team-settings, which creates it from the team's "
                f"dags.credentialsSecret; Airflow retries automatically. Airflow: {error}"
            ) from None
        self.repo_url = url = self.hook.repo_url or self._original_url
        if self.bare_repo_path.exists():
            with Repo(self.bare_repo_path) as bare:
                bare.remotes.origin.set_url(url)
