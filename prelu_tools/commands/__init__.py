"""What the tool does: a request in, a frozen result out; no click, no printing."""
