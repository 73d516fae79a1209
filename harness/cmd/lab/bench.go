package main

import "context"

func benchNets(_ context.Context, c *call) error { return nil }
