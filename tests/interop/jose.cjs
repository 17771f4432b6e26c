// Verifies each token on a line of standard input against the key set at argv[2], as a service that uses jose does.
// Prints its `sub`-less claims as JSON, or `refused: CODE`. The key set is fetched once, and again for unknown keys.
const readline = require("readline");
const jose = require("jose");

const [, , url, issuer] = process.argv;
const keys = jose.createRemoteJWKSet(new URL(url), { cooldownDuration: 0 });

readline.createInterface({ input: process.stdin }).on("line", async (token) => {
    try {
        const { payload } = await jose.jwtVerify(token, keys, { issuer });
        console.log(JSON.stringify(payload));
    } catch (error) {
        console.log(`refused: ${error.code || error}`);
    }
});
