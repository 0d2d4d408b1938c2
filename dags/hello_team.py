"""A container runs in the team's namespace; the next tasks use its result."""

from airflow.sdk import DAG, task

from kpo_platform import TeamPodOperator

SCRIPT = """
echo "Hello from $HOSTNAME"
echo '{"answer": 42, "from": "'$HOSTNAME'"}' > /airflow/xcom/return.json
"""

with DAG("hello_team", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    hello = TeamPodOperator(
        task_id="hello",
        image="busybox:1.35",
        cmds=["sh", "-c"],
        arguments=[SCRIPT],
        xcom=True,
    )

    @task
    def by_output(result: dict[str, object]) -> str:
        return f"the answer is {result['answer']}"

    @task
    def by_pull(**context: object) -> str:
        result = context["ti"].xcom_pull(task_ids="hello")
        return f"the answer is {result['answer']}"

    by_output(hello.output)
    hello >> by_pull()
