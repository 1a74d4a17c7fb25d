package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/deep"
)

// verityFlags are the flags of verity.
type verityFlags struct {
	root, table, limit string
	offset             int64
}

func newVerity() *cobra.Command {
	var flags verityFlags
	cmd := &cobra.Command{
		Use:   "verity DATA [HASH]",
		Short: "prove a dm-verity image, such as the other slot, before it is booted",
		Long: `Verity reads every block of a dm-verity image, a partition or a file, and its hash
tree, and says whether they come to the root hash. It needs no device-mapper and
changes nothing. Without HASH the tree is on DATA, behind --hash-offset.

The root hash has to come from where the image comes from: the command line in a
signed kernel, a release. How the tree is made is in its superblock; images that
have none (Bottlerocket, Container-Optimized OS) need the parameters of the table
as they stand on the kernel's command line, whose two devices are passed over.

The exit code is 3 where a block is bad and 4 where the disk could not be read.`,
		Example: "  sudo seaworthy verity /dev/disk/by-partlabel/USR-B --hash-offset 1065345024 --root-hash 3563…\n" +
			"  seaworthy verity root.img root.verity --root-hash 3563…\n" +
			"  sudo seaworthy verity /dev/sda5 --table '1 PARTUUID=x PARTUUID=x 4096 4096 509952 509952 sha256 3563… 9a1f…'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("it takes a device or file with the data, and one with the hash tree where that is another")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return verity(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args, flags)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.root, "root-hash", "", "the root hash that the image must come to, in `HEX`")
	f.Int64Var(&flags.offset, "hash-offset", 0, "the superblock of the hash tree is at this `BYTE`")
	f.StringVar(&flags.table, "table", "", "the parameters of the verity table, `\"VERSION DATA HASH …\"`, in place of a superblock and --root-hash")
	f.StringVar(&flags.limit, "limit", "", "read at most `RATE`, such as 50MiB/s; otherwise as fast as can be")
	return cmd
}

func verity(ctx context.Context, out, errOut io.Writer, args []string, flags verityFlags) error {
	limit, err := parseRate("--limit", flags.limit)
	if err != nil {
		return err
	}
	switch {
	case flags.table != "" && (flags.root != "" || flags.offset != 0):
		return usagef("--table has the root hash and the place of the tree: it does not go with --root-hash or --hash-offset")
	case flags.table == "" && flags.root == "":
		return usagef("--root-hash is missing: without it nothing says what the image must be")
	case flags.root != "" && !hexadecimal(flags.root):
		return usagef("--root-hash %q: it is written in hexadecimal", flags.root)
	case flags.offset < 0:
		return usagef("--hash-offset %d: it is a number of bytes from the start", flags.offset)
	case flags.table == "" && len(args) == 1 && flags.offset == 0:
		return usagef("the hash tree is on %s, and --hash-offset does not say where", args[0])
	}
	data, err := deep.Open(args[0])
	if err != nil {
		return err
	}
	defer data.Close()
	tree, where := data, args[0]
	if len(args) == 2 {
		where = args[1]
		if tree, err = deep.Open(where); err != nil {
			return err
		}
		defer tree.Close()
	}
	table, err := flags.tree(tree)
	if err != nil {
		return err
	}
	table.Data, table.Hash = args[0], where

	p := newProgress(errOut)
	ctx, stop := interruptible(ctx)
	defer stop()
	d, err := deep.Prove(ctx, table, data, tree, deep.Options{Limit: limit, Progress: func(_ string, done, total int64) { p.tell(args[0], done, total) }})
	p.end()
	switch {
	case errors.Is(err, context.Canceled):
		return verdictError(exitInterrupted)
	case err != nil:
		return fmt.Errorf("proving %q: %w", args[0], err)
	}
	return proven(out, styleOf(out, os.Getenv), d)
}

// hexadecimal reports whether bytes are written so.
func hexadecimal(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// tree is the table that the flags ask for.
func (flags verityFlags) tree(tree *deep.Input) (node.VerityTarget, error) {
	if flags.table != "" {
		t, err := node.ParseVerity(flags.table)
		if err != nil {
			return node.VerityTarget{}, usagef("--table: %v", err)
		}
		return *t, nil
	}
	t, err := deep.Superblock(tree, flags.offset)
	t.RootHash = strings.ToLower(flags.root)
	return t, err
}

// proven says what a reading came to, and makes an exit code of it.
func proven(out io.Writer, s style, d node.DeepDevice) error {
	say := func(format string, args ...any) error {
		_, err := io.WriteString(out, s.show(clean(fmt.Sprintf(format, args...)))+"\n")
		return err
	}
	verdict := error(nil)
	var err error
	switch b, u := d.Bad, d.Unreadable; {
	case d.Whole():
		err = say("intact: all %d blocks of %d bytes and their hash tree come to the root hash %s", d.DataBlocks, d.DataBlockSize, d.RootHash)
	case b != nil && b.Of == node.BadHash:
		err = say("bad: block %d of %s, at byte %d, level %d of the hash tree: %s is wanted and %s computed", b.Block, b.Device, b.Offset, b.Level, b.Wanted, b.Computed)
		verdict = verdictError(exitFailed)
	case b != nil:
		err = say("bad: data block %d of %s, at byte %d: %s is wanted and %s computed", b.Block, b.Device, b.Offset, b.Wanted, b.Computed)
		verdict = verdictError(exitFailed)
	case u != nil:
		err = say("unknown: %s could not be read at byte %d: %s; %d of %d blocks before that are good", u.Device, u.Offset, u.Reason, d.Read, d.DataBlocks)
		verdict = verdictError(exitUnknown)
	default:
		err = say("unknown: %d of %d blocks were read", d.Read, d.DataBlocks)
		verdict = verdictError(exitUnknown)
	}
	if err != nil {
		return fmt.Errorf("writing what was found: %w", err)
	}
	return verdict
}
