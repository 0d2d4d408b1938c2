"""Former path of the git bundle, kept as an alias for bundle lists that name it."""

from __future__ import annotations

import warnings

from kpo_platform.airflow.bundles.git import TeamGitDagBundle

__all__ = ["TeamGitDagBundle"]

# FutureWarning, because Python hides a DeprecationWarning outside of __main__.
warnings.warn(
    "The class path kpo_platform.operator.git_bundle.TeamGitDagBundle is deprecated. "
    "Use kpo_platform.airflow.bundles.git.TeamGitDagBundle in the bundle list.",
    FutureWarning,
    stacklevel=2,
)
