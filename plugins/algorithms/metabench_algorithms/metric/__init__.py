"""Metric learners: a query is compared with the support set."""
