"""What every implementation of the store's port must do; the fake keeps the same contract."""
