"""Records package deployments over the Package Deployment API of Inedo ProGet."""

__version__ = "0.1.0"
