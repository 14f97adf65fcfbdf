from tests.pipeline_fixtures import motions, store, tracker_config

__all__ = ["motions", "store", "tracker_config"]
