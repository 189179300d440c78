"""The portal: server-rendered pages for people. Views parse, call one service, and respond."""
