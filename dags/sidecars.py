"""Two sidecars that start before the program and end with it.

git-sync updates a repository in /work/git/code; log-shipper prints the lines of /work/logs/*.log.
"""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

REPOSITORY = "git://git-server.git.svc.cluster.local/alpha.git"
CODE = {"spec": {"initContainers": [{"name": "git-sync", "env": [{"name": "GITSYNC_REPO", "value": REPOSITORY}]}]}}

# Logs the order in the repository until it is "stop".
WATCH = """
mkdir -p /work/logs
until [ "$(cat /work/git/code/jobs/order)" = stop ]; do
  echo "order: $(cat /work/git/code/jobs/order)" >> /work/logs/watch.log
  sleep 1
done
echo "stopped by the order"
"""

with DAG("sidecars", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(
        task_id="watch",
        image="busybox:1.35",
        cmds=["sh", "-c", WATCH],
        sidecars=["git-sync", "log-shipper"],
        pod_template_dict=CODE,
    )
