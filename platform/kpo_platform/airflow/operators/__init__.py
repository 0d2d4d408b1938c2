"""TeamPodOperator, its arguments and the lifecycle of its pod."""
