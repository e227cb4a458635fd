//go:build !linux

package commands

func largeMemory(capacity int) []byte { return make([]byte, 0, capacity) }
