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
// What dhcpd 4.4.3 answers is the measure, and tests ask it. On purpose it is otherwise here: a word that means nothing,
// a function that there is not and a constant that is no regular expression are errors (dhcpd takes them for false); a
// client can be in more than five classes; options that are made of each other end as having no value, and so does a
// number from no bytes, where dhcpd crashes; a DHCPv6 client that asks twice for an option gets it once.
//
// A Policy and all it is built of are immutable while packets are evaluated, and shared by all workers. An Env, its
// Settings and its Outcome belong to one packet.
package policy
