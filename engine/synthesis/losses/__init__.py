"""The terms that methods are composed of: statistics, classes, features, and the images themselves."""
