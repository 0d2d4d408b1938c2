"""Everything that a report in production tends to need, each in one line; leave out what yours does not."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

# $LEVEL and $TOKEN come from the Secret. /data is the team's volume: it is in every pod of the team and outlives it.
SCRIPT = """
mkdir -p /data/reports
echo "$REGION at level $LEVEL${TOKEN:+, with a token}" > "/data/reports/$RUN"
cat /report/title
"""

with DAG("full_pattern", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(
        task_id="report",
        image="localhost:5000/partner/report:1.0",  # in a registry that is not the team's and asks for a password …
        image_pull_secrets=["partner-registry"],  # … which is in this Secret; the team's own registry needs no word
        cmds=["sh", "-c", SCRIPT],
        size="medium",  # cpu and memory, as the team has agreed
        node_selector={"kubernetes.io/os": "linux"},  # where it runs
        tolerations=[{"key": "batch", "operator": "Exists"}],  # also on nodes that others keep off
        env_vars={"REGION": "eu", "RUN": "{{ run_id }}"},
        env_from=[{"secretRef": {"name": "report-settings"}}],  # every key of the Secret becomes a variable
        labels={"project": "reports"},
        kubernetes_conn_id="k8s_default",  # the team's own; said here only to show where it goes
    )
