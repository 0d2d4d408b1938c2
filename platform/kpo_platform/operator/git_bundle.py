"""A team's git repository as a DAG bundle that outlives the state in which Airflow first met it."""

from __future__ import annotations

import shutil

from airflow.providers.git.bundles.git import GitDagBundle
from git.exc import GitCommandError


class TeamGitDagBundle(GitDagBundle):
    """The stock bundle, except that a working copy which cannot be brought to its ref is made anew.

    The stock bundle clones once and from then on only looks into that clone. A repository that was still empty at
    that moment, as a new team's is, or a ref that was repointed (apache/airflow#71388), stays unreadable until
    somebody empties the storage.
    """

    def initialize(self) -> None:
        """Make the working copy, or make it ready for the next attempt.

        Raises:
            RuntimeError: the repository does not have the ref (yet); Airflow tries again by itself.
        """
        try:
            super().initialize()
        except GitCommandError as error:
            shutil.rmtree(self.repo_path, ignore_errors=True)
            raise RuntimeError(
                f"The repository of bundle {self.name} cannot be brought to {self.tracking_ref!r}: "
                "push that branch or tag, or correct the team's dags.ref; Airflow goes on trying. "
                f"git said: {str(error.stderr).strip()}"
            ) from None
