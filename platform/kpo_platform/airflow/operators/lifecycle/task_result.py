"""Read a task's result from its pod: from the program's termination message, or from the XCom sidecar."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from kpo_platform.airflow.api_errors import advise, describe_error, is_transient
from kpo_platform.airflow.operators.lifecycle.callbacks import fail_on_exit
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable
from kpo_platform.airflow.operators.lifecycle.pod_manager import CommandFailed
from kpo_platform.airflow.operators.lifecycle.result_check import add_reference, check_result
from kpo_platform.pod.message_result import RESULT_FILE, count_bytes
from kpo_platform.pod.xcom import XCOM_CONTAINER

SIDECAR = XCOM_CONTAINER

_RETRY = "A retry does the work again."
_DONE = "The task is not tried again, because its work is done."
_INTERVAL_S = 1.0
_START_TIMEOUT_S = 900.0  # as in the stock operator
_READ_TIMEOUT_S = 600.0
"""How long the read of a result may fail while the API server answers other requests."""
_REFUSAL_TIMEOUT_S = 60.0
"""How long the read may be refused, or its command fail: an API server or a proxy has just started, or the node is
lost or has killed the sidecar, and the pod's status does not say it yet."""


class ResultUnreadable(ApiServerUnavailable):
    """The node did not give out the result in time; the pod is left running."""


def check_new_pod(operator: Any, pod: ObservedPod) -> None:
    """Check that the result can leave a pod which has just been created: a webhook may have changed it.

    Raises:
        AirflowFailException: it cannot, and another pod would be changed as well.
    """
    if not operator.do_xcom_push or _has_way_for_result(operator, pod):
        return
    name, is_message = operator.base_container_name, getattr(operator, "result_mode", "") == "message"
    missing = f"it has no container {SIDECAR}"
    if is_message:
        path = pod.state.container(name).message_path
        missing = (
            f"terminationMessagePath of its container {name!r} is {path!r}, but the result requires {RESULT_FILE!r}"
        )
    sentence = (
        f"Pod {pod.state.name} cannot give out the task's result: {missing}. Something has changed the pod at its "
        "creation, such as a webhook of the cluster. The task is not tried again, because another pod would be "
        "changed as well. Ask the platform team to exempt the team's pods from the change, or set "
        f'xcom="{"sidecar" if is_message else "message"}".'
    )
    raise AirflowFailException(add_reference(sentence, pod.manifest, name))


def read_result(operator: Any, pod: ObservedPod) -> Any:
    """Read the result of a program that has succeeded; wait for the sidecar's start, and for API server and node.

    A pod of an earlier process may have been created without a result; then it is None.

    Raises:
        AirflowFailException: the result is lost, or too large for a message, but the work is done.
        ApiServerUnavailable: API server or node do not answer, or the sidecar did not start; the pod has the result.
        ApiException: the API server refused to read the result.
        CommandFailed: the sidecar cannot read it.
        AirflowException: it is no JSON.
    """
    # Not the operator decides: the pod may be of an earlier version of the task.
    if (message := pod.state.container(operator.base_container_name).result) is not None:
        return _read_message(operator, pod, message)
    if not _has_way_for_result(operator, pod):
        operator.log.warning(
            "The task has no result: pod %s, which an earlier process of this task created, was created without one.",
            pod.state.name,
        )
        return None
    failed_s = refused_s = 0.0
    while True:
        _await_sidecar(operator, pod)
        began_at = time.monotonic()
        try:
            return _extract(operator, pod)
        except Exception as error:
            lasted_s = time.monotonic() - began_at + _INTERVAL_S
            if getattr(error, "status", None) == 401:
                operator.refresh_credentials()
            pod.refresh()  # waits while the API server does not answer
            if _is_running(pod):
                _check_retry(operator, error, pod, failed_s, refused_s)
            if not failed_s:
                operator.log.warning(
                    "Cannot read the result of pod %s: %s. It is tried again.", pod.state.name, describe_error(error)
                )
            failed_s += lasted_s
            refused_s = 0.0 if is_transient(error) else refused_s + lasted_s
        operator.stop_signal.sleep(_INTERVAL_S)


def read_failed_result(operator: Any, pod: ObservedPod) -> Any:
    """Read the result of a program that has failed, as the stock operator does; None if it has no sidecar."""
    if not _is_running(pod):
        return None
    try:
        return _extract(operator, pod)
    except Exception as error:
        operator.log.info("Cannot read a result of the failed program: %s.", describe_error(error))
        return None


def end_sidecar(operator: Any, pod: ObservedPod) -> bool:
    """End the sidecar; it does not react to SIGTERM. Return whether it has been asked to."""
    if not _is_running(pod):
        return False
    try:
        operator.pod_manager.extract_xcom_kill(pod.model)
    except Exception as error:
        operator.log.info("Cannot end container %s of pod %s: %s.", SIDECAR, pod.state.name, describe_error(error))
        return False
    return True


def remove_result(pod: ObservedPod) -> k8s.V1Pod:
    """Copy a pod's model without a message that is a result: a failed program may have written a part of one."""
    model = deepcopy(pod.model)
    for status in (model.status and model.status.container_statuses) or []:
        if status.state and status.state.terminated:
            status.state.terminated.message = pod.state.container(status.name).message or None
    return model


def _has_way_for_result(operator: Any, pod: ObservedPod) -> bool:
    """Tell whether a result can leave the pod; a pod that is gone may be known by its name only."""
    containers, name = {each.name: each for each in pod.state.containers}, operator.base_container_name
    return name not in containers or SIDECAR in containers or containers[name].message_path == RESULT_FILE


def _read_message(operator: Any, pod: ObservedPod, message: str) -> Any:
    if count_bytes(message) >= pod.state.result_limit:
        cause = check_result(pod.manifest, operator.base_container_name, text=message)
        raise AirflowFailException(f"{cause} {_DONE} Pod: {pod.state.name}.")
    try:
        return _extract(operator, pod)
    except json.JSONDecodeError as error:
        raise _build_json_error(operator, pod, error) from error


def _extract(operator: Any, pod: ObservedPod) -> Any:
    with fail_on_exit("extract_xcom"):  # a subclass may override it
        return operator.extract_xcom(pod=pod.model)


def _build_json_error(operator: Any, pod: ObservedPod, error: json.JSONDecodeError) -> AirflowException:
    cause = check_result(pod.manifest, operator.base_container_name, text=error.doc)
    unknown = f"The program succeeded, but its result cannot be parsed: {describe_error(error)}."
    return AirflowException(f"{cause or unknown} Pod: {pod.state.name}.")


def _is_running(pod: ObservedPod) -> bool:
    """Tell whether the sidecar can be asked; the status of a pod that has ended may be older than its end."""
    return not pod.is_gone and not pod.state.has_ended and pod.state.container(SIDECAR).phase == "running"


def _await_sidecar(operator: Any, pod: ObservedPod) -> None:
    waited_s = 0.0
    while not _is_running(pod):
        if pod.is_gone:
            raise AirflowFailException(_describe_loss(operator, pod, "was deleted"))
        if pod.state.has_ended or pod.state.container(SIDECAR).is_terminated:
            lost = SIDECAR if pod.state.container(SIDECAR) in pod.state.containers else operator.base_container_name
            raise AirflowFailException(_describe_loss(operator, pod, f"lost its container {lost}"))
        if waited_s >= _START_TIMEOUT_S:
            raise ResultUnreadable(
                f"Cannot read the result of pod {pod.state.name}, whose program succeeded: container {SIDECAR} did not "
                f"start within {waited_s:.0f} s. The pod is not deleted",
                f"Check the pod's events and the image of its container {SIDECAR}. A retry of the task takes the "
                "result.",
            )
        operator.stop_signal.sleep(_INTERVAL_S)
        waited_s += _INTERVAL_S
        pod.refresh()


def _describe_loss(operator: Any, pod: ObservedPod, what: str) -> str:
    loss = f"The program succeeded, but pod {pod.state.name} {what} before its result was read. {_DONE}"
    return add_reference(loss, pod.manifest, operator.base_container_name)


def _check_retry(operator: Any, error: Exception, pod: ObservedPod, failed_s: float, refused_s: float) -> None:
    """Raise unless the read may succeed later."""
    is_refusal = isinstance(error, ApiException | CommandFailed | AirflowException | PermissionError)
    if isinstance(error, json.JSONDecodeError):
        raise _build_json_error(operator, pod, error) from error
    if not is_transient(error) and not is_refusal:
        raise error
    if not is_transient(error) and refused_s >= _REFUSAL_TIMEOUT_S:
        start = f"Cannot read the result of pod {pod.state.name}, whose program succeeded: {describe_error(error)}. "
        is_command = isinstance(error, CommandFailed)
        advice = f"The command failed in container {SIDECAR}." if is_command else advise(error)
        sentence = add_reference(f"{start}{advice} {_RETRY}", pod.manifest, operator.base_container_name)
        if is_command:
            raise CommandFailed(sentence) from error
        error.sentence = sentence  # type: ignore[attr-defined]
        raise error
    if failed_s >= _READ_TIMEOUT_S:
        raise ResultUnreadable(
            f"Cannot read the result of pod {pod.state.name}, whose program succeeded: {describe_error(error)}. It was "
            f"tried for {failed_s:.0f} s. The pod is not deleted",
            f"Check the pod's node and its container {SIDECAR}. A retry of the task takes the result.",
        ) from error
