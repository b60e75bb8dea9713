"""The processes of a node, each by its role: portal, target, member, service, policies."""
