"""A production task with volume, size, placement, Secret, private image and labels; remove what you do not need."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

# $LEVEL and $TOKEN come from the Secret. /data is the team's volume, mounted into every pod of the team and kept.
SCRIPT = """
mkdir -p /data/reports
echo "$REGION at level $LEVEL${TOKEN:+, with a token}" > "/data/reports/$RUN"
cat /report/title
"""

with DAG("full_pattern", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(
        task_id="report",
        image="localhost:5000/partner/report:1.0",  # a private registry other than the team's
        image_pull_secrets=["partner-registry"],  # Secret for that registry; the team's own needs none
        cmds=["sh", "-c", SCRIPT],
        size="medium",  # one of the team's sizes: cpu and memory
        node_selector={"kubernetes.io/os": "linux"},  # only these nodes
        tolerations=[{"key": "batch", "operator": "Exists"}],  # also nodes with this taint
        env_vars={"REGION": "eu", "RUN": "{{ run_id }}"},
        env_from=[{"secretRef": {"name": "report-settings"}}],  # each key of the Secret becomes a variable
        labels={"project": "reports"},
        kubernetes_conn_id="k8s_default",  # the team's default; here only as an example
    )
