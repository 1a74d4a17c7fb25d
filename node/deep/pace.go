package deep

import (
	"context"
	"sync"
	"time"
)

// tick is how often a limit lets more be read.
const tick = 20 * time.Millisecond

// pace keeps all that is read of one device to a limit. What was not read in time
// is not caught up with.
type pace struct {
	ctx    context.Context // of the reading that it is for
	ticker *time.Ticker    // nil for no limit
	each   int64           // bytes a tick
	mu     sync.Mutex      // of left: data and tree are read at the same time
	left   int64
}

func (p *pace) begin(ctx context.Context, limit int64) {
	p.ctx = ctx
	if limit > 0 {
		p.each = max(1, limit/int64(time.Second/tick))
		p.ticker = time.NewTicker(tick)
	}
}

// wait waits until n more bytes may be read, or the reading is over.
func (p *pace) wait(n int) error {
	if p.ticker == nil {
		return p.ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left -= int64(n)
	for p.left < 0 {
		select {
		case <-p.ticker.C:
			p.left += p.each
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	return nil
}

func (p *pace) end() {
	if p.ticker != nil {
		p.ticker.Stop()
	}
}
