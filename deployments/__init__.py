"""What a Prefect server has to know to run the pipeline: work pool, queue, deployments, automations."""
