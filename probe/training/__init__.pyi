"""The public names of `probe.training`; see `probe.public`."""

from probe.training.config import TrainConfig as TrainConfig
from probe.training.learning_rate_schedule import learning_rate as learning_rate
from probe.training.step import Training as Training
