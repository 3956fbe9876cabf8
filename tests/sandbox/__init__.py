"""The sandbox, asked over a real socket."""
