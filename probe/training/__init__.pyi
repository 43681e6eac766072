"""The public names of `probe.training`; see `probe.public`."""

from probe.training.step import TrainConfig as TrainConfig
from probe.training.step import Training as Training
from probe.training.step import learning_rate as learning_rate
