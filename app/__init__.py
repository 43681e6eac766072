"""The command line and the dashboard; it shows and drives, and holds no science. Nothing here is public: see CONTRIBUTING.md."""

from probe.moved import install

install()  # a module of app that has moved says where it is, whoever imports it first
