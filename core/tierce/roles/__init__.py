"""What a process is for: a target, a member, the portal, a service, policies."""
