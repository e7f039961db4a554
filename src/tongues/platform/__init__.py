"""The only code that talks to object stores, MLflow, Kubernetes and KFP."""
