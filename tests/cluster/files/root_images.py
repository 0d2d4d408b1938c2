"""Images built for root in pods with level restricted, which write to their usual paths."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

BUSYBOX = """
set -eu
cd && echo written > note && mktemp > /dev/null
id -u > /work/uid
cat > /airflow/xcom/return.json <<END
{"uid": $(cat /work/uid), "home": "$HOME", "user": "$USER", "note": "$(cat ~/note)"}
END
"""

GIT = """
set -eu
export GIT_CONFIG_NOSYSTEM=1
commit() { git -C "$1" -c user.name=t -c user.email=t@example.test commit --quiet --allow-empty --message "$2"; }
git init --quiet ~/origin && commit ~/origin first
git clone --quiet ~/origin ~/copy
git config --global core.pager cat
mkdir ~/.aws && echo '[default]' > ~/.aws/config
git clone --quiet ~/origin /scratch && commit /scratch second
cat > /airflow/xcom/return.json <<END
{"copy": "$(git -C ~/copy log --format=%s)", "volume": "$(git -C /scratch log --format=%s | tr '\\n' ' ')"}
END
"""

AWS = """
set -eu
version=$(aws --version)
aws configure set region eu-central-1
cat > /airflow/xcom/return.json <<END
{"program": "${version%%/*}", "region": "$(aws configure get region)", "file": "$(head -1 /work/.aws/config)"}
END
"""

with DAG("root_images", schedule=None, default_args={"team": "alpha", "cmds": ["sh", "-c"], "xcom": True}):
    TeamPodOperator(task_id="busybox", image="busybox:1.35", arguments=[BUSYBOX])
    TeamPodOperator(task_id="aws", image="amazon/aws-cli:2.9.19", arguments=[AWS])
    TeamPodOperator(
        task_id="git",
        image="git-server:12",
        arguments=[GIT],
        volumes=[{"name": "scratch", "emptyDir": {}}],
        volume_mounts=[{"name": "scratch", "mountPath": "/scratch"}],
    )
