"""The causes of a pod's problem, one family for each part of its life."""
