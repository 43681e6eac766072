"""Key mechanisms of factual recall: heads that move the topic, MLPs that erase or amplify heads, a function-like direction, and a
last layer that suppresses what is right."""
