"""Clone a repository in the task and run one of its scripts.

The image was built for root. It works as another user because the template adds the home folder /work.
"""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

REPOSITORY = "git://git-server.git.svc.cluster.local/alpha.git"
RUN = "git clone --quiet --depth 1 $REPOSITORY ~/code && cd ~/code && sh jobs/report.sh month"

with DAG("git_clone", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(
        task_id="report", image="alpine/git:2.47.2", cmds=["sh", "-c", RUN], env_vars={"REPOSITORY": REPOSITORY}
    )
