"""The confirm stage: finalists trained again on fresh seeds, then judged on fresher ones beside baselines."""
