package peers

// The words of docs/peers.md that are not made from answers.

const cisIntroduction = `# Beside kube-bench

Made by ` + "`go test ./test/peers -run TestBesideKubeBench -update`" + ` (root, Linux); do not edit.

Items of the CIS Kubernetes Benchmark on the nodes that this repository keeps: what kube-bench answers there, what Seaworthy answers, and what is so.

## How it was done

- kube-bench {version} is the real program, built from its module, with its own configuration as shipped, its benchmark {benchmark} (the newest it has) and ` + "`--targets node`" + `.
- For each node a file tree is made of everything that its capture holds (folders, files, links, modes, owners), with a static busybox for the commands of the audits and a ` + "`ps`" + ` that prints the recorded processes as procps does. kube-bench runs there in a chroot; nothing of the machine of the test is visible.
- Seaworthy judges the same capture. Its answer is that of the checks that cite the item: one that fails counts before one that passes, and that before one that is unknown. So where the setting passes and the live port was not probed, as in every capture here, the pass counts: kube-bench rests on the setting alone as well. All are shown.
- The truth is written by hand in test/peers/truth.yaml, with what it follows from. It is the truth about the node that the capture shows, by what takes effect and not by what is written. What the capture does not tell cannot be known, and then neither pass nor fail is right.

## How answers are counted

- **right**: pass where the item holds, fail where it does not, undecided where nobody can know. Where the item does not apply, a pass is right as well: kube-bench has no other word for it.
- **wrong**: the opposite of the truth, or fail where nobody can know.
- **passed unseen**: a pass where the capture holds nothing that it could rest on.
- **undecided**: kube-bench's WARN or INFO, Seaworthy's unknown, where the capture would have told. WARN is what kube-bench says of an item that failed but is not scored, of one that could not be looked at and of one that a person must judge, all alike.
- **no answer**: no check cites the item.
- **not counted**: kube-bench answers as it does only because the capture does not hold a file, its mode or owner, or a process that the machine had, at a place where kube-bench does look. That is the capture's fault.

## What this does not show

- Four nodes have a kubelet in their capture, and they were put together from what people have published: a kubelet's arguments, in two cases its configuration, never the modes of its files. Two are many years older than the benchmark. This compares how the programs reason about the same material, not how often they are right on a real fleet.
- kube-bench has benchmarks of EKS, GKE and OpenShift, which it chooses by asking the cluster and which look at other paths; one benchmark for all keeps items comparable. Whoever edits its paths for a system gets better answers.
- kube-bench's expectations are largely CIS' own words, which call a setting good that is not written anywhere. Where that is so the reason says so.
- The table was made by the authors of one of the two programs. The rows are there to be argued with.
`

const cisDamages = `## Nodes that one edit made unsound

The edits are those of collector/demo, with which every check is tested, and three of this page's own. Seaworthy was made to answer the former, so its column shows no more than that it does; the latter were written after the checks. Here the truth is known on both sides: before the edit the item holds, because every file, mode and setting is given; the edit breaks it. A WARN of kube-bench after a PASS is its word for an item that failed and is not scored, and counts as right. All are done to composed-bottlerocket but for those that say otherwise in collector/demo.

| item | what was done | kube-bench before | Seaworthy before | kube-bench after | Seaworthy after |
|---|---|---|---|---|---|
`
