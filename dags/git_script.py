"""Scripts from a git repository: the template `git-script` clones it, tasks differ only in their command."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

REPOSITORY = "git://git-server.git.svc.cluster.local/alpha.git"
CODE = {"spec": {"initContainers": [{"name": "git-sync", "env": [{"name": "GITSYNC_REPO", "value": REPOSITORY}]}]}}

DEFAULTS = {"team": "alpha", "image": "busybox:1.35", "template": "git-script", "pod_template_dict": CODE}

with DAG("git_script", schedule=None, default_args=DEFAULTS, tags=["sample"], doc_md=__doc__):
    day = TeamPodOperator(task_id="day", cmds=["sh", "jobs/report.sh", "day"])
    week = TeamPodOperator(task_id="week", cmds=["sh", "jobs/report.sh", "week"])
    day >> week
