//! What the stories share: the harness around the real binary and its peers.
