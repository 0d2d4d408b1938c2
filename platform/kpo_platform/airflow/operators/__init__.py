"""TeamPodOperator and what it is made of."""
