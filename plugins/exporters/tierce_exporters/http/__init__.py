"""A small HTTP server: a parser of requests without sockets, and a thin shell around it."""
