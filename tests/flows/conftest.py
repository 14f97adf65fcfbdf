from tests.pipeline_fixtures import motions, prefect_server, store, tracker_config

__all__ = ["motions", "prefect_server", "store", "tracker_config"]
