package deep

import (
	"context"
	"errors"
	"io"
	"sync"
)

const (
	// page is what offsets, lengths and buffers of a read are whole multiples of, so
	// that it need not go through the page cache: O_DIRECT of open(2).
	page = 4096
	// piece is how much is read at once, and pieces how many of them are held: one
	// is hashed while the others are read.
	pieceSize = 1 << 20
	pieces    = 4
	// readAhead is how much of a level of a tree is read at once.
	readAhead = 128 << 10
)

// pages is a ReaderAt that is asked for whole pages at multiples of a page alone,
// into buffers that begin with one. Only at its end it may return fewer.
type pages = io.ReaderAt

// errShort is of a device or a file that ends before what should be there.
var errShort = errors.New("it ends there")

// fill reads a buffer of whole pages. It returns what there is before an error.
func fill(in pages, buf []byte, offset int64) (int, error) {
	done := 0
	for done < len(buf) {
		n, err := in.ReadAt(buf[done:], offset+int64(done))
		done += n
		switch {
		case done == len(buf):
		case errors.Is(err, io.EOF) || err == nil && n == 0:
			return done, errShort
		case err != nil:
			return done, err
		case n%page != 0:
			return done, errShort // within a page there is nothing more to ask for
		}
	}
	return done, nil
}

// stream reads a device from its start, ahead of who hashes it.
type stream struct {
	ctx   context.Context // of the reading
	full  chan chunk
	spare chan []byte
	stop  context.CancelFunc
	done  sync.WaitGroup
	bufs  [][]byte
}

// chunk is a piece of a stream; err is why it is not whole.
type chunk struct {
	buf     []byte
	content []byte
	offset  int64
	err     error
}

func streamOf(ctx context.Context, in pages, size int64, paces *pace) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{ctx: ctx, full: make(chan chunk, pieces+1), spare: make(chan []byte, pieces), stop: cancel}
	for range pieces {
		buf := newBuffer(pieceSize)
		s.bufs = append(s.bufs, buf)
		s.spare <- buf
	}
	s.done.Go(func() {
		defer close(s.full)
		idly(func() { s.read(ctx, in, size, paces) })
	})
	return s
}

func (s *stream) read(ctx context.Context, in pages, size int64, paces *pace) {
	for offset := int64(0); offset < size; offset += pieceSize {
		var buf []byte
		select {
		case buf = <-s.spare:
		case <-ctx.Done():
			s.full <- chunk{err: ctx.Err()}
			return
		}
		want := int(min(pieceSize, size-offset))
		err := paces.wait(want)
		n := 0
		if err == nil {
			n, err = fill(in, buf[:(want+page-1)/page*page], offset)
		}
		if n >= want {
			n, err = want, nil
		}
		s.full <- chunk{buf, buf[:n], offset, err} // it has a place for each buffer, and one more
		if err != nil {
			return
		}
	}
}

// next is the next piece, io.EOF after the last, or the error that ended the context.
func (s *stream) next() (chunk, error) {
	c, ok := <-s.full
	switch {
	case s.ctx.Err() != nil:
		return c, s.ctx.Err()
	case !ok:
		return c, io.EOF
	}
	return c, nil
}

// free gives a piece back to be read into.
func (s *stream) free(c chunk) { s.spare <- c.buf }

func (s *stream) close() {
	s.stop()
	s.done.Wait()
	for _, buf := range s.bufs {
		freeBuffer(buf)
	}
}

// window is a part of a device that is held, for who goes through it in order.
type window struct {
	in    pages
	buf   []byte
	start int64
	held  int
	paces *pace
}

// newWindow is a window for who asks for blocks of this size of a part that is as
// long as that.
func newWindow(in pages, length int64, block int, paces *pace) window {
	most := int64(max(readAhead, block)) + page
	return window{in: in, buf: newBuffer(int(min(most, (length+2*page-1)/page*page))), paces: paces}
}

// bytes are n bytes at an offset, until it is called again.
func (w *window) bytes(offset int64, n int) ([]byte, error) {
	if offset < w.start || offset+int64(n) > w.start+int64(w.held) {
		if err := w.paces.wait(len(w.buf)); err != nil {
			return nil, err
		}
		var err error
		w.start = offset / page * page
		if w.held, err = fill(w.in, w.buf, w.start); int(offset-w.start)+n > w.held {
			return nil, err
		}
	}
	return w.buf[offset-w.start:][:n], nil
}

func (w *window) close() { freeBuffer(w.buf) }
