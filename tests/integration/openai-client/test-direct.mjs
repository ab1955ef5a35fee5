#!/usr/bin/env node
// The client against the fake itself, with no gateway between them: shows that the tests judge as they
// should.

import { startFake } from '../../fakes/openai.mjs';
import { run, test } from '../../fakes/tap.mjs';
import {
  Session,
  settings,
  testBill,
  testEmptyBill,
  testGenerations,
  testKeyErrors,
  testModels,
  testStatusErrors,
  testStreams,
  testUsage,
} from './client-tests.mjs';
import { testEditStreams, testEdits } from './edit-tests.mjs';

const fake = await startFake();
const session = new Session({
  ...settings({ model: 'gpt-image-2', sizes: '1024x1024,816x816' }),
  url: fake.url,
  fakeUrl: fake.url,
});

testEmptyBill(session);
testModels(session);
testGenerations(session, [null]);
testUsage(session);
testStreams(session);
testEdits(session);
testEditStreams(session);
testStatusErrors(session, { throughGateway: false });
testKeyErrors(session, { throughGateway: false });
testBill(session);
test('the fake ends', () => fake.close());
await run();
