"""A team's git repository as a DAG bundle that outlives the state in which Airflow first met it."""

from __future__ import annotations

import shutil
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.git.bundles.git import GitDagBundle
from airflow.providers.git.hooks.git import GitHook
from git import Repo
from git.exc import GitCommandError


class TeamGitDagBundle(GitDagBundle):
    """The stock bundle, except that a working copy which cannot be brought to its ref is made anew.

    It takes the credentials of a private repository anew each time, so that new ones need no restart: the stock bundle
    reads them when the process starts, which may be before they are there, and writes them into the clone.

    The stock bundle clones once and from then on only looks into that clone. A repository that was still empty at
    that moment, as a new team's is, or a ref that was repointed (apache/airflow#71388), stays unreadable until
    somebody empties the storage.
    """

    def __init__(self, *, repo_url: str, **stock: Any) -> None:
        """A bundle of the repository at this address; everything else is as in GitDagBundle."""
        super().__init__(repo_url=repo_url, **stock)
        self._address = repo_url

    def initialize(self) -> None:
        """Make the working copy, or make it ready for the next attempt.

        Raises:
            RuntimeError: the connection that opens a private repository is not there (yet), or the repository does
                not have the ref (yet); Airflow tries again by itself.
        """
        self._sign_in()
        try:
            super().initialize()
        except GitCommandError as error:
            shutil.rmtree(self.repo_path, ignore_errors=True)
            raise RuntimeError(
                f"The repository of bundle {self.name} cannot be brought to {self.tracking_ref!r}: "
                "push that branch or tag, or correct the team's dags.ref; Airflow goes on trying. "
                f"git said: {str(error.stderr).strip()}"
            ) from None

    def refresh(self) -> None:
        """Fetch what is new, with the credentials as they are now.

        Raises:
            RuntimeError: the connection that opens a private repository is gone.
        """
        self._sign_in()
        super().refresh()

    def _sign_in(self) -> None:
        if not self.git_conn_id:
            return
        try:
            self.hook = GitHook(self.git_conn_id, repo_url=self._address)
        except AirflowException as error:
            raise RuntimeError(
                f"The repository of bundle {self.name} is private, and Airflow has no connection {self.git_conn_id}: "
                "see the log of the chart's job team-settings, which makes it of the team's dags.credentialsSecret; "
                f"Airflow goes on trying. It said: {error}"
            ) from None
        self.repo_url = url = self.hook.repo_url or self._address
        if self.bare_repo_path.exists():
            with Repo(self.bare_repo_path) as bare:
                bare.remotes.origin.set_url(url)
