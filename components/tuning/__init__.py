"""The search over batch size and learning rate with KerasTuner."""
