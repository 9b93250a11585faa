// Package policy is the model under every front end that says what a DHCP client gets: scopes inside of scopes, the
// statements in them, classes of clients, and the rules by which ISC dhcpd makes one answer of them.
//
//   - A front end reads a file and builds Scopes, each with its Parent and its Statements, and Classes. Options and
//     their types come from an option.Registry, conditions and computed values from expr: dhcpd's own language.
//   - For each packet it fills an Env with the message and what it knows of the sender, finds the classes with Match,
//     chooses an address by them, and calls Evaluate with the Path on which the client stands.
//   - All statements of all scopes on the path run, the outermost first: global, shared network, subnet, pool, classes
//     (the one declared first runs last, so it wins), group, host. Inside a scope they run in the order of the text.
//     What is set last stands.
//   - The Outcome has the server's own settings (file name, next server, lease times, switches) and, by Reply4 or
//     Reply6, the options to send, in order.
//
// A Policy and all it is built of are immutable while packets are evaluated, and shared by all workers. An Env, its
// Settings and its Outcome belong to one packet.
package policy
