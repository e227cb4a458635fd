package commands

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// size is a flag's number of bytes: 1024, 500k, 1.5m, 2g, in powers of 1024.
type size int64

var errSize = errors.New("a size looks like 1024, 500k, 1.5m or 2g")

// Set implements flag.Value.
func (s *size) Set(text string) error {
	number, unit := strings.ToLower(text), int64(1)
	if n := len(number); n > 0 {
		switch number[n-1] {
		case 'k':
			unit, number = 1<<10, number[:n-1]
		case 'm':
			unit, number = 1<<20, number[:n-1]
		case 'g':
			unit, number = 1<<30, number[:n-1]
		}
	}
	if strings.Trim(number, "0123456789.") != "" {
		return errSize // no signs, exponents, infinities
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole < 1 || whole > math.MaxInt64/unit {
			return errSize
		}
		*s = size(whole * unit)
		return nil
	}
	fraction, err := strconv.ParseFloat(number, 64)
	if bytes := fraction * float64(unit); err == nil && bytes >= 1 && bytes < 1<<62 {
		*s = size(bytes)
		return nil
	}
	return errSize
}

// String implements flag.Value.
func (s *size) String() string {
	for _, unit := range []struct {
		size   int64
		letter string
	}{{1 << 30, "g"}, {1 << 20, "m"}, {1 << 10, "k"}} {
		if *s > 0 && int64(*s)%unit.size == 0 {
			return strconv.FormatInt(int64(*s)/unit.size, 10) + unit.letter
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// duration is a flag's length of time: 30m, 1h30m, 7d, 2w, or bare seconds. It is a second at least.
type duration time.Duration

var errDuration = errors.New("a duration looks like 30m, 1h30m, 7d, 2w, or a whole number of seconds, and is not nothing")

// Set implements flag.Value.
func (d *duration) Set(text string) error {
	var value time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		value = time.Duration(seconds) * time.Second
	} else {
		parsed, err := model.ParseDuration(text)
		if err != nil {
			return errDuration
		}
		value = time.Duration(parsed)
	}
	if value < time.Second {
		return errDuration
	}
	*d = duration(value)
	return nil
}

// String implements flag.Value.
func (d *duration) String() string { return model.Duration(*d).String() }
