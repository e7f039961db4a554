"""KFP pipelines, one per outcome."""
