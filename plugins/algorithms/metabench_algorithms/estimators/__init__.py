"""Estimators of scikit-learn, and of whoever follows its interface."""
